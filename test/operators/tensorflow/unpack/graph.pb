
^
x0Placeholder*
_user_specified_namex0*
dtype0* 
shape:ÿÿÿÿÿÿÿÿÿ
4
UnpackUnpackx0*
T0*

axis*	
num
'
IdentityIdentityUnpack:1*
T0"ª