
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
%
DivNoNanDivNoNanx0x1*
T0
'
IdentityIdentityDivNoNan*
T0"ª