
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
+
TruncateDivTruncateDivx0x1*
T0
*
IdentityIdentityTruncateDiv*
T0"ª