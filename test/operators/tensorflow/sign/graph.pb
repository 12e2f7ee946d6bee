
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

SignSignx0*
T0
#
IdentityIdentitySign*
T0"ª