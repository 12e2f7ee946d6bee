
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

Atan2Atan2x0x1*
T0
$
IdentityIdentityAtan2*
T0"ª