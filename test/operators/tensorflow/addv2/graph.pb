
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

AddV2AddV2x0x1*
T0
$
IdentityIdentityAddV2*
T0"ª