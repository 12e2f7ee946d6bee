
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
+
TruncateModTruncateModx0x1*
T0
*
IdentityIdentityTruncateMod*
T0"ª