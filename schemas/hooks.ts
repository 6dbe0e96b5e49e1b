// TransformerLens hook points, as configurations name them: a layer, and a point in it.

export const hookPattern = /^blocks\.(\d+)\.(hook_resid_pre|attn\.hook_z|hook_attn_out|hook_resid_mid|mlp\.hook_pre|mlp\.hook_post|hook_mlp_out|hook_resid_post)$/;

/**
 * The layer, from 0, and the point of a hook.
 *
 * @throws RangeError when it is none
 * @example
 * hookPlace('blocks.0.mlp.hook_post'); // { layer: 0, point: 'mlp.hook_post' }
 */
export function hookPlace(hook: string): { layer: number; point: string } {
  const [, layer, point] = hookPattern.exec(hook) ?? [];
  if (point === undefined) throw new RangeError(`${hook} is not a hook point`);
  return { layer: Number(layer), point };
}
