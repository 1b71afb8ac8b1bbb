// A process that changes the version of a test's host, to be killed: FOLDER install TREE | upgrade | go-back | uninstall
import { goBack, install } from '../../../host/versions/install.ts';
import { uninstall } from '../../../host/versions/uninstall.ts';
import { upgrade } from '../../../host/versions/upgrade.ts';
import { testHost } from './test-host.ts';

const [folder = '', action, tree = ''] = process.argv.slice(2);
const host = testHost(folder);
if (action === 'install') await install(host, tree);
if (action === 'go-back') await goBack(host);
if (action === 'uninstall') await uninstall(host.layout, { deletesData: false });
if (action === 'upgrade') await upgrade(host, () => undefined);
