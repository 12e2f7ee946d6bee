
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
7
SquaredDifferenceSquaredDifferencex0x1*
T0
0
IdentityIdentitySquaredDifference*
T0"ª