// meter.ts: counts dispatches and live buffer bytes of one GPUDevice, whoever drives it, so that Pupil and a peer library are
// counted by the same rule. It changes nothing that the device does; buffers that are garbage-collected instead of
// destroyed keep counting.

export interface Meter {
  dispatches: number;
  /** Bytes of buffers alive now, and the most at once. */
  bytes: number;
  peakBytes: number;
}

/** Starts counting on a device. Work and buffers from before are not seen. */
export function meterDevice(device: GPUDevice): Meter {
  const meter: Meter = { dispatches: 0, bytes: 0, peakBytes: 0 };
  const createBuffer = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const buffer = createBuffer(descriptor);
    meter.bytes += buffer.size;
    meter.peakBytes = Math.max(meter.peakBytes, meter.bytes);
    const destroy = buffer.destroy.bind(buffer);
    let alive = true;
    buffer.destroy = () => {
      if (alive) meter.bytes -= buffer.size;
      alive = false;
      return destroy();
    };
    return buffer;
  };
  const createCommandEncoder = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (descriptor) => {
    const encoder = createCommandEncoder(descriptor);
    const beginComputePass = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (pass) => {
      const started = beginComputePass(pass);
      const dispatch = started.dispatchWorkgroups.bind(started);
      started.dispatchWorkgroups = (...grid) => {
        meter.dispatches++;
        return dispatch(...grid);
      };
      return started;
    };
    return encoder;
  };
  return meter;
}
