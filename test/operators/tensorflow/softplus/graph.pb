
Z
x0Placeholder*
_user_specified_namex0*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
!
SoftplusSoftplusx0*
T0
'
IdentityIdentitySoftplus*
T0"ª