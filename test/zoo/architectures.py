"""The architectures that Keras builds for the zoo, with random weights."""
import keras
from keras import layers


def lstm():
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(50, 16, mask_zero=True)(ids)
    x = layers.LSTM(24, return_sequences=True)(x)
    x = layers.LSTM(16)(x)
    return keras.Model(ids, layers.Dense(5, activation="softmax", name="class")(x))


def bigru():
    x = inputs = keras.Input((20, 8), name="steps")
    x = layers.Bidirectional(layers.GRU(12, return_sequences=True))(x)
    x = layers.Bidirectional(layers.GRU(10, reset_after=False), merge_mode="sum")(x)
    return keras.Model(inputs, layers.Dense(3, name="score")(x))


def unet():
    x = inputs = keras.Input((64, 64, 3), name="image")
    skips = []
    for filters in (16, 32):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    for filters, skip in zip((32, 16), reversed(skips)):
        x = layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(x)
        x = layers.Concatenate()([x, skip])
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    return keras.Model(inputs, layers.Conv2D(2, 1, activation="sigmoid", name="mask")(x))


def transformer():
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(60, 32)(ids)
    for _ in range(2):
        a = layers.MultiHeadAttention(4, 8)(x, x)
        x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(0.1)(a))
        f = layers.Dense(32)(layers.Dense(64, activation="gelu")(x))
        x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, f]))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(ids, layers.Dense(4, name="class")(x))


app = keras.applications
MODELS = {
    "resnet50": lambda: app.ResNet50(weights=None),
    "mobilenetv2": lambda: app.MobileNetV2(weights=None),
    "densenet121": lambda: app.DenseNet121(weights=None),
    "efficientnetb0": lambda: app.EfficientNetB0(weights=None),
    "lstm": lstm, "bigru": bigru, "unet": unet, "transformer": transformer,
}


def statistics(model, rng):
    """Gives normalisations what training would have."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            mean, var = layer.moving_mean, layer.moving_variance
            mean.assign(rng.normal(0, 0.05, mean.shape))
            var.assign(rng.uniform(0.7, 1.3, var.shape))
        if isinstance(layer, layers.Normalization):
            layer.adapt_mean.assign(rng.normal(0, 0.05, layer.adapt_mean.shape))
            layer.adapt_variance.assign(rng.uniform(0.7, 1.3, layer.adapt_variance.shape))
            layer.finalize_state()
