/** What of noVNC is used here: https://github.com/novnc/noVNC/blob/master/docs/API.md */
declare module "@novnc/novnc" {
  export default class RFB {
    constructor(target: HTMLElement, channel: WebSocket | string);
    scaleViewport: boolean;
    focusOnClick: boolean;
    sendCtrlAltDel(): void;
    disconnect(): void;
  }
}
