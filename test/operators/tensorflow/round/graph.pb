
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

RoundRoundx0*
T0
$
IdentityIdentityRound*
T0"ª