
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
%
MulNoNanMulNoNanx0x1*
T0
'
IdentityIdentityMulNoNan*
T0"ª