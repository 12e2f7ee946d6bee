
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

CeilCeilx0*
T0
#
IdentityIdentityCeil*
T0"ª