
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
*
AddNAddNx0x1x0*
N*
T0
#
IdentityIdentityAddN*
T0"ª