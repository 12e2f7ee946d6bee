
@
x0Placeholder*
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