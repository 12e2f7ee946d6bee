
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

XlogyXlogyx0x1*
T0
$
IdentityIdentityXlogy*
T0"ª