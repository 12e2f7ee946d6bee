
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

PowPowx0x1*
T0
"
IdentityIdentityPow*
T0"ª