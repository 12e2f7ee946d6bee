
Z
x0Placeholder*
_user_specified_namex0*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
!
SoftsignSoftsignx0*
T0
'
IdentityIdentitySoftsign*
T0"ª