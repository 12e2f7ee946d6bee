
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

XdivyXdivyx0x1*
T0
$
IdentityIdentityXdivy*
T0"ª