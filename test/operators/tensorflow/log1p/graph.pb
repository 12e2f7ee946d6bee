
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

Log1pLog1px0*
T0
$
IdentityIdentityLog1p*
T0"ª