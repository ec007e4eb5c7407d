/**
 * Keys and values are bytes to etcd and text to the model. On this border each byte becomes one character (Latin-1): nothing is lost,
 * whatever the bytes are, and the order of the text is that of the bytes. So the text that the model of an embedded etcd holds is not
 * what it would be in the simulation, where keys are words; it goes back through {@link toBytes} before anybody reads it.
 */
export function toText(bytes: Buffer): string {
  return bytes.toString('latin1');
}

export function toBytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
