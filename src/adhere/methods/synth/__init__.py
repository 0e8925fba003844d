"""Methods of the arrow `synth`."""
