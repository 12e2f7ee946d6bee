
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
#
MaximumMaximumx0x1*
T0
&
IdentityIdentityMaximum*
T0"ª