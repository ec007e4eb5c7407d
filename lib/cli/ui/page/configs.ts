import type { ShownConfig, ShownInstance } from '../view.ts';
import { child, drawList, drawTable, element, setText } from './drawing.ts';

export function drawConfigs(configs: readonly ShownConfig[]): void {
  const showsValues = configs.some(({ value }) => value !== undefined);
  element('configs').classList.toggle('has-values', showsValues);
  drawTable(
    'configs',
    configs,
    ({ name }) => name,
    ({ name, version, instances, value }) => [
      name,
      version === 0 ? 'none' : String(version),
      {
        fill: (cell) =>
          drawList(
            cell,
            instances,
            ({ instanceId }) => instanceId,
            'span',
            (badge, instance) => {
              const { state, text } = standing(instance, version);
              badge.className = `badge ${state}`;
              setText(badge, text);
            },
          ),
      },
      {
        className: 'values',
        fill: (cell) => setText(child(cell, 'code'), value ?? ''),
      },
    ],
  );
}

/** In words, too: colours alone tell nothing to some. */
function standing(
  { instanceId, applied, refused }: ShownInstance,
  newest: number,
): { readonly state: string; readonly text: string } {
  const serves = `${instanceId} serves ${applied ?? 'none'}`;
  if (refused !== undefined)
    return { state: 'bad', text: `${serves}, has refused ${refused.version ?? '?'}: ${refused.reason}` };
  return (applied ?? 0) < newest ? { state: 'warn', text: `${serves}, behind` } : { state: 'good', text: serves };
}
