
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

AcoshAcoshx0*
T0
$
IdentityIdentityAcosh*
T0"ª