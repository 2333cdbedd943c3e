// enable_f16.wgsl (prelude, first): asks for the type f16. Only where gpu.features.f16.
enable f16;
