// Ids of traces as they stand in an address: any sign may be in one.

// So many fit beside each other.
export const COMPARED_MAX = 8;

export const idsText = (ids: string[]) => ids.map(encodeURIComponent).join(",");

export function idsIn(text: string): string[] {
  const ids = text.split(",").map((one) => {
    try {
      return decodeURIComponent(one);
    } catch {
      return one;
    }
  });
  return [...new Set(ids.filter(Boolean))].slice(0, COMPARED_MAX);
}
