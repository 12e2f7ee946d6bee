
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
#
RealDivRealDivx0x1*
T0
&
IdentityIdentityRealDiv*
T0"ª