// Serves a whole, stored blob as a body.
import type { BlobBody } from './blob-pump.ts';
import type { OpenedBlob } from './blob-store.ts';

/** Reads an opened blob; closes it afterwards and calls `onClosed`. */
export function storedBody(blob: OpenedBlob, onClosed: () => void = () => undefined): BlobBody {
  return {
    sizeBytes: blob.sizeBytes,
    isGrowing: false,
    read: async (position, buffer) => (await blob.file.read(buffer, 0, buffer.length, position)).bytesRead,
    close: async () => {
      await blob.file.close();
      onClosed();
    },
  };
}
