// An address is checked by its destination, in any spelling.
import { describe, expect, it } from 'vitest';
import { addressFault, isLoopback, networkOf } from './network-address.ts';

describe('an address', () => {
  it.each([
    ...['169.254.169.254', '0.1.2.3', '255.255.255.255', '192.0.0.192', '168.63.129.16', '100.100.100.200'],
    ...['::', 'fe80::1', 'fe80::1%eth0', 'ff02::1', 'fd00:ec2::254', 'FD00:EC2:0:0::254'],
    ...['::ffff:169.254.1.1', '::ffff:a9fe:101', '::a9fe:101', '64:ff9b::a9fe:101', '64:ff9b:1::a9fe:101', '2002:a9fe:101::1'],
  ])('%s is no node', (address) => {
    expect(addressFault(address, { loopback: true })).toContain('is no address of a node');
  }); // prettier-ignore

  it.each(['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', '64:ff9b::7f00:1', '2002:7f00:1::'])(
    '%s is this machine itself, where that is not meant',
    (address) => {
      expect(addressFault(address, { loopback: false })).toContain('is this machine itself');
      expect(addressFault(address, { loopback: true })).toBeUndefined();
    },
  );

  it.each(['10.0.0.5', '192.0.1.1', '100.64.0.1', 'fd12::1', '2a00::1', '::ffff:10.0.0.5', '2002:a00:5::', 'fec0::1'])(
    '%s may be a node',
    (address) => {
      expect(addressFault(address, { loopback: false })).toBeUndefined();
    },
  );
});

it('recognises the hosts that can only be this machine', () => {
  expect(['localhost', '127.0.0.1', '127.9.9.9', '::1'].filter(isLoopback)).toHaveLength(4);
  expect(['0.0.0.0', '10.0.0.5', '::', 'example.test', '127.0.0.1.example', ''].filter(isLoopback)).toEqual([]);
});

it('takes the addresses that one party may have for one', () => {
  expect(['10.0.0.5', '::ffff:10.0.0.5', '10.0.0.6', 'unknown'].map(networkOf)).toEqual([
    ...['10.0.0.5', '10.0.0.5', '10.0.0.6', 'unknown'],
  ]);
  const [own, other] = [networkOf('2a00:1:2:3::1'), networkOf('2a00:1:2:4::1')];
  expect(networkOf('2A00:1:2:3:ffff::9%eth0')).toBe(own);
  expect(other).not.toBe(own);
});
