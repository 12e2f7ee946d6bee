
b
x0Placeholder*
_user_specified_namex0*
dtype0*$
shape:ÿÿÿÿÿÿÿÿÿ
†
ExtractImagePatchesExtractImagePatchesx0*
T0*
ksizes
*
paddingSAME*
rates
*
strides

2
IdentityIdentityExtractImagePatches*
T0"ª