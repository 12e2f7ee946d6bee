
Q
x0Placeholder*
_user_specified_namex0*
dtype0*
shape
:
Q
x1Placeholder*
_user_specified_namex1*
dtype0*
shape
:
M
AccumulateNV2AccumulateNV2x0x1*
N*
T0*
shape
:
,
IdentityIdentityAccumulateNV2*
T0"ª