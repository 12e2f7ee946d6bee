
3
x0Placeholder*
dtype0*
shape
:
3
x1Placeholder*
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