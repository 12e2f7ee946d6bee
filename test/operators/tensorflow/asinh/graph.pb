
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

AsinhAsinhx0*
T0
$
IdentityIdentityAsinh*
T0"ª