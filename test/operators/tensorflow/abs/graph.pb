
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

AbsAbsx0*
T0
"
IdentityIdentityAbs*
T0"ª