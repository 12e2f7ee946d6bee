
Z
x0Placeholder*
_user_specified_namex0*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
Z
x1Placeholder*
_user_specified_namex1*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
+
TruncateModTruncateModx0x1*
T0
*
IdentityIdentityTruncateMod*
T0"ª