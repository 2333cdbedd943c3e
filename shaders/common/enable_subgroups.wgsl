// enable_subgroups.wgsl (prelude, first): asks for subgroup operations. Only where gpu.features.subgroupSize > 0.
enable subgroups;
