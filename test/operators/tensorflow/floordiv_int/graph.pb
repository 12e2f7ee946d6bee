
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
%
FloorDivFloorDivx0x1*
T0
'
IdentityIdentityFloorDiv*
T0"ª