
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
%
FloorModFloorModx0x1*
T0
'
IdentityIdentityFloorMod*
T0"ª