
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
TruncateDivTruncateDivx0x1*
T0
*
IdentityIdentityTruncateDiv*
T0"ª