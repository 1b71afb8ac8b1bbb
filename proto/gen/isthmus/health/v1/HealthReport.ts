// Original file: proto/isthmus/health/v1/health.proto

import type { Interpreter as _isthmus_health_v1_Interpreter, Interpreter__Output as _isthmus_health_v1_Interpreter__Output } from '../../../isthmus/health/v1/Interpreter.ts';
import type { Long } from '@grpc/proto-loader';

export interface HealthReport {
  'softwareVersion'?: (string);
  'os'?: (string);
  'arch'?: (string);
  'tentacleTimeMs'?: (number | string | Long);
  'diskFreeBytes'?: (number | string | Long);
  'diskTotalBytes'?: (number | string | Long);
  'memoryFreeBytes'?: (number | string | Long);
  'memoryTotalBytes'?: (number | string | Long);
  'load_1m'?: (number | string);
  'cpus'?: (number);
  'runningScripts'?: (number);
  'uptimeS'?: (number | string | Long);
  'certificateNotAfterMs'?: (number | string | Long);
  /**
   * Those of the tentacle's table that are installed.
   */
  'interpreters'?: (_isthmus_health_v1_Interpreter)[];
  'scriptsIsolated'?: (boolean);
}

export interface HealthReport__Output {
  'softwareVersion': (string);
  'os': (string);
  'arch': (string);
  'tentacleTimeMs': (number);
  'diskFreeBytes': (number);
  'diskTotalBytes': (number);
  'memoryFreeBytes': (number);
  'memoryTotalBytes': (number);
  'load_1m': (number);
  'cpus': (number);
  'runningScripts': (number);
  'uptimeS': (number);
  'certificateNotAfterMs': (number);
  /**
   * Those of the tentacle's table that are installed.
   */
  'interpreters': (_isthmus_health_v1_Interpreter__Output)[];
  'scriptsIsolated': (boolean);
}
