// What most orders for packages leave out, and a tentacle that installs nowhere but in its data folder.

/** The fields of a payload that only some steps have. */
export const NO_FILE_RULES = {
  owner: '',
  group: '',
  fileMode: 0,
  folderMode: 0,
  installTo: '',
  revert: false,
  unpackedBytes: 0,
  entries: 0,
  fileName: '',
  delta: null,
} as const;

export const NOWHERE_ELSE = { installRoots: [], tentacle: { mesh: 'test-mesh', node: 'tentacle-1' } } as const;
