
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

CoshCoshx0*
T0
#
IdentityIdentityCosh*
T0"ª