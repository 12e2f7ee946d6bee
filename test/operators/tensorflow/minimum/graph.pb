
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
<
x1Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
#
MinimumMinimumx0x1*
T0
&
IdentityIdentityMinimum*
T0"ª