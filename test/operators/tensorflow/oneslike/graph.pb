
@
x0Placeholder*
dtype0* 
shape:ÿÿÿÿÿÿÿÿÿ
!
OnesLikeOnesLikex0*
T0
#
addAddV2x0OnesLike*
T0
"
IdentityIdentityadd*
T0"ª