
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

SinSinx0*
T0
"
IdentityIdentitySin*
T0"ª