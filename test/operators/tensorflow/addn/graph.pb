
Z
x0Placeholder*
_user_specified_namex0*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
Z
x1Placeholder*
_user_specified_namex1*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
*
AddNAddNx0x1x0*
N*
T0
#
IdentityIdentityAddN*
T0"ª