// losableWorker.ts: the page's own session worker, whose GPU device the test can take away as a driver's reset would: the
// devices that it is given are remembered, and a message destroys the last one. Tests only.
const devices: GPUDevice[] = [];
const requestDevice = GPUAdapter.prototype.requestDevice;
GPUAdapter.prototype.requestDevice = async function (this: GPUAdapter, ...args) {
  const device = await requestDevice.apply(this, args);
  devices.push(device);
  return device;
};
new BroadcastChannel('pupil-test-lose-device').onmessage = () => devices.at(-1)?.destroy();

await import('../../src/worker/session.worker');
// The session listens from here on: what was sent before is sent again by whoever waits for this.
postMessage('listening');

export {};
