
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

AsinAsinx0*
T0
#
IdentityIdentityAsin*
T0"ª