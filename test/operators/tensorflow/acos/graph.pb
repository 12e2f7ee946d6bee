
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

AcosAcosx0*
T0
#
IdentityIdentityAcos*
T0"ª